import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { WsException } from '@nestjs/websockets';
import { LessThan, MoreThan, Not, Repository } from 'typeorm';
import { GetMessagesDto, SendMessageDto } from './chat.dto';
import { ConversationMember } from './conversation-member.entity';
import { Conversation } from './conversation.entity';
import { Message } from './message.entity';

@Injectable()
export class ChatService {
  constructor(
    @InjectRepository(Conversation)
    private readonly conversationRepository: Repository<Conversation>,
    @InjectRepository(ConversationMember)
    private readonly memberRepository: Repository<ConversationMember>,
    @InjectRepository(Message)
    private readonly messageRepository: Repository<Message>,
  ) {}

  getMemberships(userId: string) {
    return this.memberRepository.find({ where: { userId }, relations: { conversation: true } });
  }

  /** Saves the message and moves its conversation to the top of the list. */
  async sendMessage(senderId: string, { conversationId, content }: SendMessageDto) {
    await this.checkMember(senderId, conversationId);
    const message = await this.messageRepository.save(
      this.messageRepository.create({ conversationId, senderId, content }),
    );
    await this.conversationRepository.update(conversationId, { lastMessageAt: message.createdAt });
    return message;
  }

  async getMessages(userId: string, { conversationId, before, limit }: GetMessagesDto) {
    await this.checkMember(userId, conversationId);
    const messages = await this.messageRepository.find({
      where: { conversationId, ...(before && { id: LessThan(String(before)) }) },
      order: { id: 'DESC' },
      take: limit,
    });
    return messages.reverse();
  }

  /** The newest conversations, each with its last message and how many are unread. */
  async getConversations(userId: string, limit: number) {
    const members = await this.memberRepository.find({
      where: { userId },
      relations: { conversation: true },
      order: { conversation: { lastMessageAt: 'DESC' } },
      take: limit,
    });
    return Promise.all(
      members.map(async ({ conversationId, lastReadId, conversation }) => ({
        ...conversation,
        lastMessage: await this.messageRepository.findOne({
          where: { conversationId },
          order: { id: 'DESC' },
        }),
        unreadCount: await this.messageRepository.count({
          where: { conversationId, id: MoreThan(lastReadId), senderId: Not(userId) },
        }),
      })),
    );
  }

  private async checkMember(userId: string, conversationId: string) {
    if (!(await this.memberRepository.existsBy({ userId, conversationId }))) {
      throw new WsException('Conversation not found');
    }
  }
}
