import { io } from 'socket.io-client';

// Initialize connection
const socket = io('http://your-backend-url/chat', {
  auth: {
    // Temporary format for testing: "userId:userType"
    // In production, pass actual JWT token
    token: `${userId}:${userType}` // e.g., "123:influencer" or "456:brand"
  },
  autoConnect: true,
  reconnection: true,
  reconnectionDelay: 1000,
  reconnectionAttempts: 5,
});

// Listen for connection success
socket.on('connection:success', (data) => {
  console.log('Connected to chat server:', data);
  // data: { userId, userType, socketId }
});

// Handle connection errors
socket.on('connect_error', (error) => {
  console.error('Connection error:', error);
});

// Handle disconnection
socket.on('disconnect', (reason) => {
  console.log('Disconnected:', reason);
});
socket.emit('conversation:join', {
  conversationId: 123
});

// Listen for confirmation
socket.on('conversation:joined', (data) => {
  console.log('Joined conversation:', data);
  // data: { conversationId, room }
});
socket.emit('conversation:leave', {
  conversationId: 123
});

socket.on('conversation:left', (data) => {
  console.log('Left conversation:', data);
});
socket.emit('message:send', {
  conversationId: 123,
  content: 'Hello!',
  messageType: 'text', // 'text', 'image', 'file'
  tempId: Date.now(), // Optional: for optimistic UI updates
  // Optional fields:
  attachmentUrl: 'https://...',
  attachmentName: 'file.pdf'
});

// Listen for sent confirmation
socket.on('message:sent', (data) => {
  console.log('Message sent:', data);
  // data: { tempId, message }
  // Use tempId to update optimistic message in UI
});

// Handle send errors
socket.on('message:error', (data) => {
  console.error('Message failed:', data);
  // data: { error, tempId }
});
socket.emit('message:read', {
  conversationId: 123,
  messageId: 456 // Optional: mark all up to this message
});

socket.on('message:read:success', (data) => {
  console.log('Marked as read:', data);
});
// User starts typing
socket.emit('typing:start', {
  conversationId: 123
});

// User stops typing
socket.emit('typing:stop', {
  conversationId: 123
});
socket.emit('user:check:online', {
  userId: 789,
  userType: 'brand' // or 'influencer'
});

socket.on('user:online:status', (data) => {
  console.log('User online status:', data);
  // data: { userId, userType, isOnline: true/false }
});
socket.on('message:new', (message) => {
  console.log('New message received:', message);
  /*
  message: {
    id: 789,
    conversationId: 123,
    sender: {
      id: 456,
      username: 'john_doe',
      firstName: 'John',
      lastName: 'Doe',
      profileImage: 'https://...'
    },
    senderType: 'influencer',
    messageType: 'text',
    content: 'Hello!',
    isRead: false,
    createdAt: '2025-11-14T...',
    attachmentUrl: null,
    attachmentName: null
  }
  */

  // Add message to your chat UI
  // Play notification sound
  // Update conversation list
});
socket.on('message:read', (data) => {
  console.log('Messages marked as read:', data);
  /*
  data: {
    conversationId: 123,
    messageId: 456,
    readBy: {
      userId: 789,
      userType: 'brand'
    }
  }
  */

  // Update message read status in UI
  // Show double checkmarks, etc.
});
socket.on('typing:start', (data) => {
  console.log('User is typing:', data);
  // data: { conversationId, user: { userId, userType } }

  // Show "User is typing..." indicator
});

socket.on('typing:stop', (data) => {
  console.log('User stopped typing:', data);

  // Hide typing indicator
});
socket.on('user:online', (data) => {
  console.log('User came online:', data);
  // data: { userId, userType }

  // Show green dot, update status
});

socket.on('user:offline', (data) => {
  console.log('User went offline:', data);

  // Show gray dot, update status
});
socket.on('message:notification', (data) => {
  console.log('New message notification:', data);
  // data: { conversationId, message }

  // Show browser notification
  // Update unread badge
  // Play sound
});
