// The binary on a terminal, as a person at the machine starts it: `script` gives it one.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { BINARY, surroundings } from "./appliance.js";
import { atEnd } from "./ending.js";
import { until } from "./until.js";

const CONTROL_C = "\x03";
const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

export class Terminal {
  #process;
  #screen = "";

  /** Runs `workrun` with `args` on a terminal; it ends with the test. */
  static open(t, folder, args) {
    const terminal = new Terminal();
    const command = "exec " + [BINARY, ...args].map(quoted).join(" ");
    terminal.#process = spawn("script", ["-q", "-e", "-f", "-c", command, "/dev/null"], {
      env: { ...surroundings(folder), TERM: "dumb", SHELL: "/bin/sh" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    terminal.#process.stdout.setEncoding("utf8").on("data", (text) => (terminal.#screen += text.replaceAll("\r", "")));
    atEnd(t, () => terminal.interrupt());
    return terminal;
  }

  /** Everything written so far. */
  get screen() {
    return this.#screen;
  }

  /** Waits until the screen shows `pattern`, and returns the match. */
  async shows(pattern) {
    return until(() => {
      const match = this.#screen.match(pattern);
      if (!match) throw new Error(`not on the screen: ${pattern}\n${this.#screen}`);
      return match;
    }, 30_000);
  }

  /** Types Ctrl-C and returns the exit code. */
  async interrupt() {
    if (this.#process.exitCode !== null) return this.#process.exitCode;
    const ended = once(this.#process, "exit");
    this.#process.stdin.write(CONTROL_C);
    return (await ended)[0];
  }
}
