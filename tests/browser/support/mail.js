// A real SMTP server (tests/harness/smtp_server.py), and the mail that it has accepted.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { scratch } from "./appliance.js";
import { atEnd } from "./ending.js";
import { until } from "./until.js";

const TESTS = fileURLToPath(new URL("../../", import.meta.url));
const VENV = path.join(TESTS, ".venv", "bin", "python");
const PYTHON = process.env.WORKRUN_TEST_PYTHON ?? (existsSync(VENV) ? VENV : "python3");

export class PostOffice {
  #store;
  #port;

  /** Opens one that closes with the test. */
  static async open(t) {
    const office = new PostOffice();
    office.#store = path.join(await scratch(t), "mail.jsonl");
    const server = spawn(PYTHON, [path.join(TESTS, "harness", "smtp_server.py"), "--store", office.#store], { stdio: ["pipe", "pipe", "inherit"] });
    atEnd(t, async () => {
      const ended = once(server, "exit");
      server.stdin.end();
      await ended;
    });
    const lines = createInterface({ input: server.stdout });
    const [line] = await Promise.race([
      once(lines, "line"),
      once(server, "exit").then(() => Promise.reject(new Error(`no SMTP server: does ${PYTHON} have aiosmtpd?`))),
    ]);
    office.#port = JSON.parse(line).port;
    return office;
  }

  /** How an appliance is told to send by it. */
  get settings() {
    return {
      WORKRUN_SMTP_HOST: "127.0.0.1",
      WORKRUN_SMTP_PORT: String(this.#port),
      WORKRUN_SMTP_TLS: "none",
      WORKRUN_SMTP_FROM: "Workrun <workrun@example.jp>",
    };
  }

  /** All mail to `address`, oldest first. */
  async to(address) {
    const text = await readFile(this.#store, "utf8").catch(() => "");
    const mails = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    return mails.filter((mail) => mail.to.includes(address));
  }

  /** The first mail with a code to `address`, waited for: who was made an owner has had another mail before. */
  async codeLetter(address) {
    return until(async () => {
      const letter = (await this.to(address)).find(code);
      if (!letter) throw new Error(`no mail with a code to ${address}`);
      return letter;
    });
  }

  /** The mail number `count` to `address`, waited for. */
  async letter(address, count = 1) {
    return until(async () => {
      const mails = await this.to(address);
      if (mails.length < count) throw new Error(`${mails.length} of ${count} mails to ${address}`);
      return mails[count - 1];
    });
  }
}

/** The six digits with which a sign-in mail begins. */
export const code = (letter) => letter.body.match(/^\s*(\d{6})\s/)?.[1];

/** The first address in a mail. */
export const address = (letter) => letter.body.match(/https:\/\/\S+/)[0];
