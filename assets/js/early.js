// Runs before the page is drawn: with the class `js`, style sheets leave out what only readers without scripts need.
document.documentElement.classList.add("js");
