import { MprpcApplication, RpcProvider } from "mprpc";
import { Weather } from "./gen/weather.js";
import { weather } from "./weather.js";

/** A provider like any other: on its port it answers mprpc and gRPC alike. */
await using app = await MprpcApplication.init(process.argv);
const provider = new RpcProvider(app).notifyService(Weather, weather);
await provider.run(({ host, port }) => console.log(`listening on ${host}:${port}`));
