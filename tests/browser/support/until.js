// Waiting on conditions. Nothing here waits for time to pass: a condition is asked again until it holds, or the test fails.

const PATIENCE = 10_000;
const BETWEEN = 25;

/**
 * Asks `question` until it answers without throwing, and returns what it answered. Throws the last refusal after `patience`
 * milliseconds.
 */
export async function until(question, patience = PATIENCE) {
  const deadline = performance.now() + patience;
  for (;;) {
    try {
      return await question();
    } catch (refusal) {
      if (performance.now() > deadline) throw refusal;
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN));
  }
}
