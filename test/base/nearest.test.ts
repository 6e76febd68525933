import fc from "fast-check";
import { expect, test } from "vitest";
import { didYouMean, nearestName } from "../../src/base/nearest.js";

const names = ["rpcserverip", "rpcserverport", "zookeeperip", "zookeeperport", "level", "dir"];

test.each([
  ["rpcserverprot", "rpcserverport"],
  ["rpcserver", "rpcserverip"],
  ["RpcServerIp", "rpcserverip"],
  ["lvl", undefined],
  ["levle", "level"],
  ["dri", "dir"],
  ["di", "dir"],
  ["", undefined],
  ["something-else-entirely", undefined],
  ["l".repeat(100_000), undefined],
])("nearestName(%j) is %j", (name, nearest) => {
  expect(nearestName(name, names)).toBe(nearest);
});

test("a name one change away is always found", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.nat(),
      fc.constantFrom("drop", "double", "swap"),
      (name, at, change) => {
        const i = at % (name.length - 1);
        const mistyped =
          change === "drop"
            ? name.slice(0, i) + name.slice(i + 1)
            : change === "double"
              ? name.slice(0, i + 1) + name.slice(i)
              : name.slice(0, i) + name[i + 1] + name[i] + name.slice(i + 2);
        expect(nearestName(mistyped, names)).toBe(name);
      },
    ),
  );
});

test("didYouMean is the end of a sentence, or nothing", () => {
  expect(didYouMean("levle", names)).toBe('; did you mean "level"?');
  expect(didYouMean("completely different", names)).toBe("");
});
