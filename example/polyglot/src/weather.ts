import { RpcError, Status } from "mprpc";
import type { WeatherHandler } from "./gen/weather.js";

const measured = new Map([
  ["Oslo", 4.5],
  ["Lima", 19],
]);

function celsiusAt(name: string): number {
  const celsius = measured.get(name);
  if (celsius === undefined) throw new RpcError(Status.NOT_FOUND, `nobody measures at ${name}`);
  return celsius;
}

/** Nothing in it knows of gRPC. */
export const weather: WeatherHandler = {
  now({ name }, context) {
    const client = context.metadata.getText("client");
    if (client !== undefined) context.replyMetadata.set("served", `to ${client} by TypeScript`);
    return { place: name, celsius: celsiusAt(name) };
  },
  async *forecast({ name }) {
    const celsius = celsiusAt(name);
    for (let hour = 1; hour <= 3; hour++) yield { place: name, celsius: celsius + hour };
  },
  async record(reports) {
    let [count, sum] = [0, 0];
    for await (const { celsius } of reports) {
      count++;
      sum += celsius;
    }
    return { reports: count, meanCelsius: count === 0 ? 0 : sum / count };
  },
  async *follow(places) {
    for await (const { name } of places) yield { place: name, celsius: celsiusAt(name) };
  },
};
