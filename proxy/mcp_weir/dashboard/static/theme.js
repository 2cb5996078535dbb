// Runs before the first paint, so that neither a chosen theme nor what only works with scripts comes late.
"use strict";
document.documentElement.classList.add("scripted");
try {
  const chosen = localStorage.getItem("weir-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage is off: the system's theme it is */ }
