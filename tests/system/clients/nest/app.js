// A NestJS app without a line about tracing: `--require @opentelemetry/auto-instrumentations-node/register` instruments it.
//
// It ends in good order at SIGTERM. Decorators are applied by hand, so that no TypeScript compiler is needed.
'use strict';
require('reflect-metadata');
const { Controller, Get, Module, Param } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');

let address;

class OrdersController {
  async order(id) {
    const stock = await fetch(`${address}/stock/${id}`);
    return { id, stock: await stock.json() };
  }

  stock(id) {
    return { id, left: 3 };
  }
}

function route(path, method) {
  const { prototype } = OrdersController;
  Param('id')(prototype, method, 0);
  Get(path)(prototype, method, Object.getOwnPropertyDescriptor(prototype, method));
}

route('orders/:id', 'order');
route('stock/:id', 'stock');
Controller()(OrdersController);

class AppModule {}
Module({ controllers: [OrdersController] })(AppModule);

async function main() {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  address = await app.getUrl();
  process.send({ address });
  // Without its driver there is nothing to go on for; but the driver is no reason to stay.
  process.once('disconnect', () => process.exit(1));
  process.channel.unref();
}

main();
