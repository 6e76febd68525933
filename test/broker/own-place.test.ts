import type { ConsumerInfo } from "@nats-io/jetstream";
import { describe, expect, test } from "vitest";
import type { Delivery } from "../../src/broker/driver.js";
import { SharedPlace, SolePlace } from "../../src/broker/nats/place.js";
import { OwnPlace } from "../../src/broker/own-place.js";

function delivery(number: number, publishedMs = number): Delivery {
  return { position: String(number), publishedMs, attempt: 1, payload: new Uint8Array(), headers: [] };
}

/** What a nats-server tells of a group of this library. */
function infoOf(delivered: number, floor = delivered): ConsumerInfo {
  const info: Partial<ConsumerInfo> = {
    config: { description: "mprpc" } as ConsumerInfo["config"],
    delivered: { consumer_seq: delivered, stream_seq: delivered, last_active: 0 },
    ack_floor: { consumer_seq: floor, stream_seq: floor, last_active: 0 },
  };
  return info as ConsumerInfo;
}

describe("the place of a subscription of its own", () => {
  const compare = (a: string, b: string) => Number(a) - Number(b);

  test("does not wait for messages that the broker has removed", () => {
    const place = new OwnPlace(compare);
    for (const number of [1, 2, 3]) place.handed(delivery(number));
    place.finished(delivery(3));
    place.begins("2");
    expect(place.first).toBe("2");
    place.begins(undefined);
    expect(place.first).toBeUndefined();
    expect(place.last).toBe("3");
  });

  test("asks how the stream begins when many are unfinished, and again when they are twice as many", () => {
    const place = new OwnPlace(compare);
    for (let number = 1; number <= 1001; number++) place.handed(delivery(number));
    expect(place.isLarge).toBe(true);
    place.begins("1");
    expect(place.isLarge).toBe(false);
    for (let number = 1002; number <= 2003; number++) place.handed(delivery(number));
    expect(place.isLarge).toBe(true);
    // Of all of them the broker keeps the last 10.
    place.begins("1994");
    expect(place.first).toBe("1994");
    expect(place.isLarge).toBe(false);
  });

  test("of a stream that lost its data is that of the new one", () => {
    const place = new SolePlace();
    place.learn(infoOf(0));
    for (let number = 1; number <= 60; number++) place.handed(delivery(number));
    const old = delivery(5);
    for (let number = 1; number <= 60; number++) if (number !== 5) place.finished(delivery(number));
    expect(place.known?.next).toBe(5);
    place.relearn(infoOf(0));
    expect(place.known?.next).toBe(1);
    for (let number = 1; number <= 7; number++) place.handed(delivery(number, 1000 + number));
    for (const number of [1, 2, 3, 4, 6, 7]) place.finished(delivery(number, 1000 + number));
    // A handler that has worked on a message of the old stream all the while.
    place.finished(old);
    expect(place.known).toEqual({ next: 5, witness: { sequence: 7, publishedMs: 1007 } });
  });
});

test("the place of a group with several members does not wait for the numbers of a stream that is gone", () => {
  const place = new SharedPlace();
  place.learn(infoOf(0));
  place.finished(delivery(600));
  place.relearn(infoOf(0));
  expect(place.isBehind).toBe(false);
  // One that was begun in the old stream.
  place.finished(delivery(601));
  place.asks();
  place.learn(infoOf(10));
  place.finished(delivery(12, 1012));
  place.asks();
  place.learn(infoOf(12, 11));
  // What others have finished by now.
  place.learn(infoOf(13, 13));
  expect(place.known).toEqual({ next: 13, witness: { sequence: 12, publishedMs: 1012 } });
});
