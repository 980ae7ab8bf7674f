// The real binary on a fresh data folder: started, asked, killed and started again as an administrator would.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { atEnd } from "./ending.js";
import { until } from "./until.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** The binary under test: WORKRUN_BIN, or what `cargo build` leaves. */
export const BINARY = process.env.WORKRUN_BIN ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"), "debug", "workrun");

/** The environment of an appliance in `folder`: nothing of the caller's own settings, keys or locale. */
export function surroundings(folder, settings = {}) {
  return {
    PATH: process.env.PATH,
    HOME: folder,
    WORKRUN_ROOT_KEY_FILE: path.join(folder, "root.key"),
    WORKRUN_TIME_ZONE: "Asia/Tokyo",
    ...settings,
  };
}

/** A new folder that is gone after the test. */
export async function scratch(t) {
  const folder = await mkdtemp(path.join(tmpdir(), "workrun-browser-"));
  atEnd(t, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

export class Appliance {
  #folder;
  #settings;
  #process;
  #port = 0;
  #log = [];

  /** The address that people type. */
  url;

  /** Starts one that ends with the test. `settings` are environment variables. */
  static async start(t, settings = {}) {
    await access(BINARY).catch(() => {
      throw new Error(`there is no ${BINARY}: run cargo build, or name the binary in WORKRUN_BIN`);
    });
    const appliance = new Appliance();
    appliance.#folder = await scratch(t);
    appliance.#settings = settings;
    atEnd(t, () => appliance.stop());
    await appliance.#start();
    return appliance;
  }

  get #data() {
    return path.join(this.#folder, "data");
  }

  async #start() {
    const args = ["serve", "--listen", `127.0.0.1:${this.#port}`, "--tls", "internal", "--data-dir", this.#data];
    this.#process = spawn(BINARY, args, { env: surroundings(this.#folder, this.#settings), stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      createInterface({ input: stream }).on("line", (line) => this.#log.push(line));
    }
    // The commands below would open the folder themselves if nobody answered there.
    await until(async () => {
      if (this.#process.exitCode !== null) throw new Error(`the appliance ended:\n${this.log}`);
      await access(path.join(this.#data, "control.sock"));
    }, 30_000);
    const { url } = await this.command("status");
    this.url = url;
    this.#port = Number(new URL(url).port);
  }

  /** What it has logged. */
  get log() {
    return this.#log.join("\n");
  }

  /** Runs a command against it and returns the JSON that it answers. */
  async command(...args) {
    const { stdout } = await run(BINARY, [...args, "--json", "--data-dir", this.#data], { env: surroundings(this.#folder, this.#settings) });
    return JSON.parse(stdout);
  }

  /** Creates an organization and returns its id. */
  async organization(name, owner) {
    return (await this.command("org", "create", "--name", name, "--owner", owner)).id;
  }

  /** A one-time link for somebody who is known here. */
  async link(mail, ...flags) {
    return (await this.command("sign-in-link", mail, ...flags)).url;
  }

  /** Ends it as a power failure would. */
  async kill() {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
    await rm(path.join(this.#data, "control.sock"), { force: true });
  }

  /** Starts it again on the same folder and port. */
  async revive() {
    await this.#start();
  }

  /** Ends it as Ctrl-C does. */
  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGINT");
    const [code] = await ended;
    if (code !== 0) throw new Error(`the appliance ended with ${code}:\n${this.log}`);
  }
}
