import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { Conversation } from './conversation.entity';

@Entity('members')
export class ConversationMember {
  @PrimaryColumn({ name: 'user_id', type: 'text' })
  userId: string;

  @PrimaryColumn({ name: 'conversation_id', type: 'bigint' })
  conversationId: string;

  @Column({ name: 'last_read_id', type: 'bigint' })
  lastReadId: string;

  @ManyToOne(() => Conversation, (conversation) => conversation.members)
  @JoinColumn({ name: 'conversation_id' })
  conversation: Conversation;
}
