import { defineConfig } from "vite";

/** `npx vite build web` in example/clouddisk; `npx vite web` serves it for development, before a gateway on its own port. */
export default defineConfig({
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    target: "es2022",
    // The gateway's policy lets nothing be inlined.
    assetsInlineLimit: 0,
  },
  worker: { format: "es" },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/user", "/file", "/openapi.json"].map((route) => [route, "http://127.0.0.1:8080"]),
    ),
  },
});
