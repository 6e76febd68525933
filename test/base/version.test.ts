import { expect, test } from "vitest";
import { needsMprpc, version } from "../../src/base/version.js";

test("generated code for a newer mprpc says so, for this one and older ones it is silent", () => {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  for (const fine of [version, "0.0.9", `${major}.${minor}.${patch}-beta`]) {
    expect(() => needsMprpc(fine, "user.ts")).not.toThrow();
  }
  for (const newer of [
    `${major}.${minor}.${patch + 1}`,
    `${major}.${minor + 1}.0`,
    `${major + 1}.0.0`,
    "0.10.0",
  ]) {
    expect(() => needsMprpc(newer, "gen/user.ts")).toThrow(
      `gen/user.ts was generated for mprpc ${newer} or newer, and this is mprpc ${version}: update mprpc, or generate the code again with this version`,
    );
  }
});
