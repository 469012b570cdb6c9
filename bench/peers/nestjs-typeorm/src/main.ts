// A chat server as teams build it on NestJS, TypeORM and Socket.IO: gateway, service, repositories. It is
// told by its environment where the database is and which secret signs tokens, says where it listens, and
// ends with its standard input.

import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { AppModule } from './app.module';

async function bootstrap() {
  const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  app.useWebSocketAdapter(new IoAdapter(app));
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address();
  console.log(`127.0.0.1:${port}`);
  process.stdin.on('end', () => process.exit(0)).resume();
}

bootstrap().catch((error) => {
  console.error(error);
  process.exit(1);
});
