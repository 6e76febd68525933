import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Within the package, where its own name means lib/. */
const folder = fileURLToPath(new URL("dist/", import.meta.url));

export const programOf = (role: "provider" | "caller"): string => `${folder}${role}.mjs`;

/** Makes plain programs of the processes, so that no loader is in what is measured; the library is what lib/ has. */
export async function buildPrograms(): Promise<void> {
  await build({
    entryPoints: ["provider", "caller"].map((role) => fileURLToPath(new URL(`${role}.ts`, import.meta.url))),
    ...{ outdir: folder, outExtension: { ".js": ".mjs" } },
    ...{ bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "error" },
    external: ["mprpc", "mprpc/*"],
  });
}
