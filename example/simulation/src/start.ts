// How the two programs start: in production on the MprpcApplication of their main, in the test on a simulated host.
import { type App, RpcChannel, RpcProvider } from "mprpc";
import {
  OrderService as OrderServiceDefinition,
  StockService as StockServiceDefinition,
  StockServiceStub,
} from "./gen/shop.js";
import { OrderService } from "./order-service.js";
import { type Shelf, StockService } from "./stock-service.js";

export async function startStock(app: App, shelf: Shelf): Promise<RpcProvider> {
  const provider = new RpcProvider(app).notifyService(StockServiceDefinition, new StockService(shelf));
  await provider.start();
  return provider;
}

export async function startOrders(app: App): Promise<[RpcChannel, RpcProvider]> {
  const channel = new RpcChannel(app);
  const orders = new OrderService(new StockServiceStub(channel));
  const provider = new RpcProvider(app).notifyService(OrderServiceDefinition, orders);
  await provider.start();
  return [channel, provider];
}
