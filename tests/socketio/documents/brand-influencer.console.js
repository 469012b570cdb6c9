const socket = io('http://localhost:3000/chat', {
  auth: { token: '1:influencer' }
});

socket.on('connection:success', (data) => console.log('Connected:', data));
socket.emit('conversation:join', { conversationId: 1 });
socket.emit('message:send', { conversationId: 1, content: 'Test message' });
socket.on('message:new', (msg) => console.log('New message:', msg));
