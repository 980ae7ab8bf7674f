// The entry: loads what every page needs.
import "./toast.js";
