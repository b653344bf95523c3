// Before anything is painted: the theme that was chosen, if one was. Not a module, so that it runs at once.
(() => {
  try {
    const chosen = localStorage.getItem("tidegate-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be switched off: the system's theme is right.
  }
})();
