import { IsInt, IsNotEmpty, IsNumberString, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

export class SendMessageDto {
  @IsNumberString()
  conversationId: string;

  @IsString()
  @IsNotEmpty()
  @MaxLength(32768)
  content: string;
}

export class GetMessagesDto {
  @IsNumberString()
  conversationId: string;

  @IsOptional()
  @IsInt()
  before?: number;

  @IsInt()
  @Min(1)
  @Max(100)
  limit = 50;
}

export class GetConversationsDto {
  @IsInt()
  @Min(1)
  @Max(100)
  limit = 50;
}
