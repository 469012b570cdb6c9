import { UseGuards, UsePipes, ValidationPipe } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import {
  ConnectedSocket, MessageBody, OnGatewayConnection, OnGatewayDisconnect, SubscribeMessage,
  WebSocketGateway, WebSocketServer, WsException,
} from '@nestjs/websockets';
import { Server, Socket } from 'socket.io';
import { GetConversationsDto, GetMessagesDto, SendMessageDto } from './chat.dto';
import { ChatService } from './chat.service';
import { WsJwtGuard } from './ws-jwt.guard';

@WebSocketGateway({ transports: ['websocket'], perMessageDeflate: false, serveClient: false })
@UseGuards(WsJwtGuard)
@UsePipes(new ValidationPipe({ transform: true, exceptionFactory: () => new WsException('Invalid') }))
export class ChatGateway implements OnGatewayConnection, OnGatewayDisconnect {
  @WebSocketServer()
  private readonly server: Server;

  private readonly online = new Map<string, number>();

  constructor(
    private readonly chatService: ChatService,
    private readonly jwtService: JwtService,
  ) {}

  async handleConnection(client: Socket) {
    try {
      const payload = await this.jwtService.verifyAsync(client.handshake.auth.token);
      const userId: string = payload.sub;
      client.data.userId = userId;
      this.online.set(userId, (this.online.get(userId) ?? 0) + 1);
      const memberships = await this.chatService.getMemberships(userId);
      await client.join(memberships.map((member) => room(member.conversationId)));
      client.data.directs = memberships
        .filter((member) => !member.conversation.isGroup)
        .map((member) => room(member.conversationId));
      if (this.online.get(userId) === 1 && client.data.directs.length > 0) {
        client.to(client.data.directs).emit('userOnline', { userId });
      }
      client.emit('connected', { userId, socketId: client.id });
    } catch {
      client.disconnect(true);
    }
  }

  handleDisconnect(client: Socket) {
    const { userId, directs } = client.data;
    if (!userId) return;
    const left = (this.online.get(userId) ?? 1) - 1;
    if (left > 0) {
      this.online.set(userId, left);
      return;
    }
    this.online.delete(userId);
    if (directs?.length > 0) {
      this.server.to(directs).emit('userOffline', { userId });
    }
  }

  @SubscribeMessage('sendMessage')
  async handleMessage(@ConnectedSocket() client: Socket, @MessageBody() dto: SendMessageDto) {
    const message = await this.chatService.sendMessage(client.data.userId, dto);
    this.server.to(room(message.conversationId)).emit('message', message);
    return { id: message.id, createdAt: message.createdAt };
  }

  @SubscribeMessage('getMessages')
  getMessages(@ConnectedSocket() client: Socket, @MessageBody() dto: GetMessagesDto) {
    return this.chatService.getMessages(client.data.userId, dto);
  }

  @SubscribeMessage('getConversations')
  getConversations(@ConnectedSocket() client: Socket, @MessageBody() dto: GetConversationsDto) {
    return this.chatService.getConversations(client.data.userId, dto.limit);
  }
}

function room(conversationId: string) {
  return `conversation_${conversationId}`;
}
