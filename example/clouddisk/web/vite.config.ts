import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { defineConfig, type Plugin } from "vite";

/** What PDF.js loads by name when a file asks for it: maps of Chinese, Japanese and Korean characters, fonts, decoders. */
function pdfData(): Plugin {
  const manifest = createRequire(import.meta.url).resolve("pdfjs-dist/package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  return {
    name: "pdf-data",
    apply: "build",
    generateBundle() {
      for (const folder of ["cmaps", "standard_fonts", "wasm"]) {
        const from = path.join(path.dirname(manifest), folder);
        for (const name of readdirSync(from)) {
          const source = readFileSync(path.join(from, name));
          // The version in it: assets are cached for ever.
          this.emitFile({ type: "asset", fileName: `assets/pdfjs-${version}/${folder}/${name}`, source });
        }
      }
    },
  };
}

/** `npx vite build web` in example/clouddisk; `npx vite web` serves it for development, before a gateway on its own port. */
export default defineConfig({
  plugins: [pdfData()],
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    target: "es2022",
    // The gateway's policy lets nothing be inlined.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/user", "/file", "/openapi.json"].map((route) => [route, "http://127.0.0.1:8080"]),
    ),
  },
});
