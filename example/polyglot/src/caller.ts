import { MprpcApplication, RpcChannel, RpcError } from "mprpc";
import { WeatherStub } from "./gen/weather.js";

/** Calls whatever the configuration names: `--registry=static://grpc://HOST:PORT` is a gRPC server in any language. */
await using app = await MprpcApplication.init(process.argv);
await using channel = new RpcChannel(app);
const stub = new WeatherStub(channel);

const say = (text: string): void => console.log(`typescript: ${text}`);

let served: string | undefined;
const { place, celsius } = await stub.now(
  { name: "Oslo" },
  { metadata: { client: "TypeScript" }, onMetadata: (metadata) => (served = metadata.getText("served")) },
);
say(`Now ${place}: ${celsius}, served ${served}`);
const coming: number[] = [];
for await (const report of stub.forecast({ name: "Lima" })) coming.push(report.celsius);
say(`Forecast Lima: ${coming.join(", ")}`);
const { reports, meanCelsius } = await stub.record([{ celsius: 1 }, { celsius: 2 }, { celsius: 6 }]);
say(`Record: ${reports} reports, mean ${meanCelsius}`);
const followed: string[] = [];
for await (const report of stub.follow([{ name: "Lima" }, { name: "Oslo" }])) {
  followed.push(`${report.place} ${report.celsius}`);
}
say(`Follow: ${followed.join(", ")}`);
try {
  await stub.now({ name: "Atlantis" });
} catch (error) {
  if (!(error instanceof RpcError)) throw error;
  say(`Now Atlantis: ${error.codeName}, ${error.rawMessage}`);
}
