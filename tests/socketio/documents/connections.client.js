// Client -> Server
socket.emit('sendMessage', {
  conversationId: 'uuid',
  content: 'Hello!'
});

socket.emit('typing', {
  conversationId: 'uuid',
  isTyping: true
});

socket.emit('joinConversation', {
  conversationId: 'uuid'
});

socket.emit('markAsRead', {
  messageId: 'uuid'
});

// Server -> Client
socket.on('message', (message) => {
  // New message received
});

socket.on('userOnline', ({ userId }) => {
  // User came online
});

socket.on('userOffline', ({ userId }) => {
  // User went offline
});

socket.on('typing', ({ userId, isTyping }) => {
  // Someone is typing
});

socket.on('messageRead', ({ messageId }) => {
  // Message was read
});
