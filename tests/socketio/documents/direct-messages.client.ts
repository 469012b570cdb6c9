import { io } from 'socket.io-client';

// Connect with authentication
const socket = io('http://localhost:3000', {
  auth: {
    token: 'your-jwt-token'
  }
});

// Connection event
socket.on('connect', () => {
  console.log('Connected to chat server');
});

// Send a message
socket.emit('send_message', {
  receiverId: 'recipient-user-id',
  content: 'Hello!'
});

// Listen for incoming messages
socket.on('receive_message', (message) => {
  console.log('New message:', message);
  // {
  //   id: 123,
  //   content: "Hello!",
  //   senderId: "...",
  //   senderName: "...",
  //   receiverId: "...",
  //   receiverName: "...",
  //   createdAt: "..."
  // }
});

// Get conversation history
socket.emit('get_messages', {
  otherUserId: 'other-user-id'
});

socket.on('messages_list', (messages) => {
  console.log('Conversation history:', messages);
});

// Handle errors
socket.on('error', (error) => {
  console.error('Error:', error.message);
});

// Disconnect
socket.on('disconnect', () => {
  console.log('Disconnected from chat server');
});
