import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Files run beside each other on real servers; more than two of them only wait for the same two cores.
    maxWorkers: 2,
    // Each file would load all modules anew; no file changes what another one meets.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: process.env.CI === 'true' ? ['default', 'json'] : ['default'],
    outputFile: { json: '.experiences/test-report.json' },
  },
});
