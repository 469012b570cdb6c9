import { useEffect, useState } from 'react';
import { io, Socket } from 'socket.io-client';

function ChatComponent({ token, otherUserId }) {
  const [socket, setSocket] = useState<Socket | null>(null);
  const [messages, setMessages] = useState([]);
  const [inputMessage, setInputMessage] = useState('');

  useEffect(() => {
    // Connect to WebSocket
    const newSocket = io('http://localhost:3000', {
      auth: { token }
    });

    // Listen for incoming messages
    newSocket.on('receive_message', (message) => {
      setMessages(prev => [...prev, message]);
    });

    // Load conversation history
    newSocket.emit('get_messages', { otherUserId });
    
    newSocket.on('messages_list', (msgs) => {
      setMessages(msgs);
    });

    setSocket(newSocket);

    return () => {
      newSocket.close();
    };
  }, [token, otherUserId]);

  const sendMessage = () => {
    if (socket && inputMessage.trim()) {
      socket.emit('send_message', {
        receiverId: otherUserId,
        content: inputMessage
      });
      setInputMessage('');
    }
  };

  return (
    <div>
      <div>
        {messages.map(msg => (
          <div key={msg.id}>
            <strong>{msg.senderName}:</strong> {msg.content}
          </div>
        ))}
      </div>
      <input 
        value={inputMessage}
        onChange={(e) => setInputMessage(e.target.value)}
        onKeyPress={(e) => e.key === 'Enter' && sendMessage()}
      />
      <button onClick={sendMessage}>Send</button>
    </div>
  );
}
