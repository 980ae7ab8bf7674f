// The entry of every page. Each module listens on the document, so what htmx or a live change brings in needs no setup.
import { endings } from "./toast.js";
import "./net.js";
import "./menus.js";
import "./inplace.js";
import "./copying.js";

endings();

if (document.getElementById("board")) {
  import("./board.js");
}
