// What the tests of the contract `brand_influencer` share.

export const MESSAGE = ['attachmentName', 'attachmentUrl', 'content', 'conversationId', 'createdAt', 'id', 'isRead',
  'messageType', 'sender', 'senderType'];
export const CONVERSATION = ['createdAt', 'id', 'lastMessage', 'lastMessageAt', 'participant', 'participantId',
  'participantType', 'unreadCount', 'updatedAt'];

/** A numeric id that no other test has. */
export function freshId() {
  return Math.floor(Math.random() * 2 ** 48) + 1000;
}

export function person(userType) {
  return { userId: freshId(), userType };
}

/** The claims of somebody's token. */
export function claims({ userType }, more = {}) {
  return { userType, ...more };
}
