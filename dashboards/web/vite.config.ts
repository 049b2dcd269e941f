import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // The page is served under a policy without data: addresses, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The chart library is a chunk of its own (about 170 kB gzipped), fetched after the first paint.
    chunkSizeWarningLimit: 700,
  },
  server: {
    // `npm run dev` against a service on its usual address.
    proxy: { '/v1': { target: 'http://127.0.0.1:8080', ws: true } },
  },
  test: { include: ['tests/unit/**/*.test.ts'], environment: 'node', testTimeout: 60_000 },
});
