import React, { useEffect, useState, useRef } from 'react';
import { io } from 'socket.io-client';

function ChatComponent({ userId, userType, conversationId }) {
  const [messages, setMessages] = useState([]);
  const [newMessage, setNewMessage] = useState('');
  const [isTyping, setIsTyping] = useState(false);
  const [isOnline, setIsOnline] = useState(false);
  const socketRef = useRef(null);
  const typingTimeoutRef = useRef(null);

  useEffect(() => {
    // Initialize socket connection
    socketRef.current = io('http://localhost:3000/chat', {
      auth: {
        token: `${userId}:${userType}` // Replace with actual JWT in production
      }
    });

    const socket = socketRef.current;

    // Connection events
    socket.on('connection:success', (data) => {
      console.log('Connected:', data);
      // Join the conversation room
      socket.emit('conversation:join', { conversationId });
    });

    // Listen for new messages
    socket.on('message:new', (message) => {
      setMessages(prev => [...prev, message]);
      // Play notification sound
      new Audio('/notification.mp3').play();
    });

    // Listen for typing indicators
    socket.on('typing:start', (data) => {
      if (data.user.userId !== userId) {
        setIsTyping(true);
      }
    });

    socket.on('typing:stop', (data) => {
      if (data.user.userId !== userId) {
        setIsTyping(false);
      }
    });

    // Listen for read receipts
    socket.on('message:read', (data) => {
      setMessages(prev =>
        prev.map(msg =>
          msg.id <= data.messageId
            ? { ...msg, isRead: true, readAt: new Date() }
            : msg
        )
      );
    });

    // Cleanup on unmount
    return () => {
      socket.emit('conversation:leave', { conversationId });
      socket.disconnect();
    };
  }, [userId, userType, conversationId]);

  const handleSendMessage = () => {
    if (!newMessage.trim()) return;

    const tempId = Date.now();

    // Optimistic UI update
    const optimisticMessage = {
      id: tempId,
      content: newMessage,
      senderType: userType,
      createdAt: new Date(),
      isRead: false,
      isSending: true
    };
    setMessages(prev => [...prev, optimisticMessage]);

    // Send via WebSocket
    socketRef.current.emit('message:send', {
      conversationId,
      content: newMessage,
      messageType: 'text',
      tempId
    });

    // Clear input
    setNewMessage('');

    // Stop typing indicator
    socketRef.current.emit('typing:stop', { conversationId });
  };

  const handleTyping = (e) => {
    setNewMessage(e.target.value);

    // Send typing start
    socketRef.current.emit('typing:start', { conversationId });

    // Clear existing timeout
    if (typingTimeoutRef.current) {
      clearTimeout(typingTimeoutRef.current);
    }

    // Send typing stop after 2 seconds of inactivity
    typingTimeoutRef.current = setTimeout(() => {
      socketRef.current.emit('typing:stop', { conversationId });
    }, 2000);
  };

  const handleMarkAsRead = (messageId) => {
    socketRef.current.emit('message:read', {
      conversationId,
      messageId
    });
  };

  return (
    <div className="chat-container">
      <div className="chat-header">
        <h3>Conversation {conversationId}</h3>
        {isOnline && <span className="online-indicator">● Online</span>}
      </div>

      <div className="messages-container">
        {messages.map(msg => (
          <div key={msg.id} className={`message ${msg.senderType === userType ? 'sent' : 'received'}`}>
            <p>{msg.content}</p>
            <span className="timestamp">{new Date(msg.createdAt).toLocaleTimeString()}</span>
            {msg.isRead && <span className="read-receipt">✓✓</span>}
          </div>
        ))}
        {isTyping && <div className="typing-indicator">Typing...</div>}
      </div>

      <div className="message-input">
        <input
          type="text"
          value={newMessage}
          onChange={handleTyping}
          onKeyPress={e => e.key === 'Enter' && handleSendMessage()}
          placeholder="Type a message..."
        />
        <button onClick={handleSendMessage}>Send</button>
      </div>
    </div>
  );
}

export default ChatComponent;
