import "reflect-metadata";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  type ClientProxy,
  ClientProxyFactory,
  MessagePattern,
  type MicroserviceOptions,
  Transport,
} from "@nestjs/microservices";
import { firstValueFrom } from "rxjs";
import { type JsonRequest, jsonRequest, jsonResponse } from "../login.js";
import { driveCalls } from "../meter.js";
import type { Caller, Provider, Target } from "../target.js";

/** NestJS over its TCP transport: JSON, one connection. */

let served = 0;

class UserController {
  login(request: JsonRequest): ReturnType<typeof jsonResponse> {
    served += 1;
    return jsonResponse(request);
  }
}

class UserModule {}

/** What the decorators in a program of NestJS do. */
function decorate(): void {
  const login = Object.getOwnPropertyDescriptor(UserController.prototype, "login") as PropertyDescriptor;
  MessagePattern("login")(UserController.prototype, "login", login);
  Controller()(UserController);
  Module({ controllers: [UserController] })(UserModule);
}

/** It takes no port 0. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startProvider(): Promise<Provider> {
  decorate();
  const port = await freePort();
  const options = { transport: Transport.TCP as const, options: { host: "127.0.0.1", port } };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(UserModule, {
    ...options,
    logger: false,
  });
  await app.listen();
  return { endpoint: String(port), served: () => served, close: () => app.close() };
}

async function connect(port: number): Promise<ClientProxy> {
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: "127.0.0.1", port },
  });
  await client.connect();
  return client;
}

async function startCaller(endpoint: string): Promise<Caller> {
  const port = Number(endpoint);
  const client = await connect(port);
  const idle: ClientProxy[] = [];
  const call = (by: ClientProxy, request: JsonRequest) => firstValueFrom(by.send<unknown>("login", request));
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = jsonRequest(payloadBytes);
      return driveCalls(meter, inFlight, () => call(client, request));
    },
    async openIdle(count) {
      for (let i = 0; i < count; i += 1) {
        const one = await connect(port);
        idle.push(one);
        await call(one, jsonRequest(20));
      }
    },
    async close() {
      for (const one of [client, ...idle]) await one.close();
    },
  };
}

export const target: Target = { startProvider, startCaller };
