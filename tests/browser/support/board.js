// A board as a person sees it: columns by their name, cards by their title.
import assert from "node:assert/strict";
import { until } from "./until.js";

export class Board {
  constructor(reader) {
    this.reader = reader;
    this.page = reader.page;
  }

  /** Creates a board from a template by the page for it, and stands before it. */
  static async create(reader, org, name, template) {
    await reader.open(`/o/${org}/boards/new`);
    await reader.fill("new-board-name", name);
    await reader.page.locator(`input[name=template][value="${template}"]`).check();
    await reader.press("new-board-submit");
    await reader.page.waitForURL(/\/boards\/[0-9a-z]+$/i);
    const board = new Board(reader);
    board.url = reader.page.url();
    if (reader.scripts) await board.alive();
    return board;
  }

  /** Opens a board that another made. */
  static async open(reader, url) {
    const board = new Board(reader);
    board.url = url;
    await reader.open(url);
    await board.alive();
    return board;
  }

  /** Waits until the board's scripts have taken over: its columns can then be dragged into. */
  async alive() {
    await this.page.waitForFunction(() => {
      const cards = document.querySelector("#board .cards");
      return cards && Object.keys(cards).some((key) => key.startsWith("Sortable"));
    });
  }

  /** Loads the page of the board anew. */
  async reload() {
    await this.page.reload();
    await this.alive();
  }

  column(name) {
    return this.page.getByRole("region", { name, exact: true }).or(this.page.locator("section.col").filter({ has: this.page.getByRole("heading", { name, exact: true }) })).first();
  }

  tile(title) {
    return this.page.locator("#board [data-card]").filter({ has: this.page.getByRole("link", { name: title, exact: true }) });
  }

  card(title) {
    return this.page.locator("#board").getByRole("link", { name: title, exact: true });
  }

  /** The titles in a column, from the top. */
  titles(name) {
    return this.column(name).locator("[data-card] .card-a").allTextContents();
  }

  /** Waits until a column reads so. */
  async reads(name, titles, patience) {
    await until(async () => assert.deepEqual(await this.titles(name), titles, `column ${name}`), patience);
  }

  /** What every column reads, as `{name: titles}`. */
  async everything() {
    return this.page.locator("section.col").evaluateAll((columns) =>
      Object.fromEntries(columns.map((column) => [column.querySelector("h2").textContent, [...column.querySelectorAll("[data-card] .card-a")].map((link) => link.textContent)])),
    );
  }

  /** The number on a column's head. */
  async counts(name, number) {
    await until(async () => assert.equal(await this.column(name).locator(".col-h .count").textContent(), String(number), `count of ${name}`));
  }

  /** Adds a card by the composer of a column, with Enter. */
  async add(column, title) {
    const text = this.column(column).getByRole("textbox");
    if (!(await text.isVisible())) await this.column(column).getByText(this.reader.words("board-add-card"), { exact: true }).click();
    await text.fill(title);
    await text.press("Enter");
    await this.tile(title).waitFor();
    await until(async () => assert.equal(await text.inputValue(), ""));
  }

  get drawer() {
    return this.page.locator("#drawer[data-card]");
  }

  /** Opens a card's drawer and waits until it is filled. */
  async openCard(title) {
    await this.card(title).click();
    await this.drawer.waitFor();
    return this.drawer;
  }

  /** The sentences of the timeline, oldest first, without their times. */
  timeline() {
    return this.drawer.locator(".tl > li").evaluateAll((lines) =>
      lines.map((line) => {
        const copy = (line.querySelector(".ev") ?? line.querySelector(".prose")).cloneNode(true);
        for (const time of copy.querySelectorAll("time")) time.remove();
        return copy.textContent.replace(/[\s\u3000]+/g, " ").trim();
      }),
    );
  }

  /** The text of the toast in sight. */
  toast(text) {
    return this.page.locator(".toast").filter({ hasText: text });
  }
}
