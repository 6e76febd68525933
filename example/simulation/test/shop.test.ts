import { RpcChannel } from "mprpc";
import { simulate } from "mprpc/testing";
import { expect, test } from "vitest";
import { OrderServiceStub } from "../src/gen/shop.js";
import { startOrders, startStock } from "../src/start.js";
import { Shelf } from "../src/stock-service.js";

test("an order takes one piece, wherever its connection breaks", async () => {
  await simulate({ seeds: 200 }, async (sim) => {
    // What is outside the hosts is what their disks keep.
    const shelf = new Shelf({ tea: 10 });
    const stock = sim.host("stock", (app) => startStock(app, shelf));
    const orders = sim.host("orders", startOrders);
    await sim.until(Promise.all([stock.ready, orders.ready]));
    const shop = new OrderServiceStub(new RpcChannel(sim.host("customer").app));
    await sim.until(shop.place({ order: "1", item: "tea" }));

    // The connection breaks at some byte of the next request or reply; the seed says at which.
    const [from, to] = sim.random.pick([
      [orders, stock],
      [stock, orders],
    ]);
    sim.cut(from, to, { afterBytes: sim.random.integer(1, 40) });
    await sim.until(shop.place({ order: "2", item: "tea" }));

    expect(shelf.left("tea")).toBe(8);
  });
});
