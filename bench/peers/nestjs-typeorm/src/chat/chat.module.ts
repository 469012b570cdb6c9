import { Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ChatGateway } from './chat.gateway';
import { ChatService } from './chat.service';
import { ConversationMember } from './conversation-member.entity';
import { Conversation } from './conversation.entity';
import { Message } from './message.entity';

@Module({
  imports: [
    TypeOrmModule.forFeature([Conversation, ConversationMember, Message]),
    JwtModule.register({ secret: process.env.JWT_SECRET }),
  ],
  providers: [ChatGateway, ChatService],
})
export class ChatModule {}
