// Runs once on every thread of the greeter server.

import { implement, type RpcModule } from 'reactor-net/rpc';
import { Greeter } from './greeter.js';

const services: RpcModule = () => {
  let number = 0n;
  const greet = (name: string) => {
    number += 1n;
    return { text: `hello ${name}`, number };
  };
  return [
    implement(Greeter, {
      greet: ({ name }) => greet(name),
      async *greetAll(requests) {
        for await (const { name } of requests) yield greet(name);
      },
    }),
  ];
};

export default services;
