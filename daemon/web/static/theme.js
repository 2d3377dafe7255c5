// Light and dark: as the system has it, until somebody chooses.

const KEPT = "rowkeeper.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export function initTheme() {
  apply(localStorage.getItem(KEPT));
}

export const isDark = () =>
  (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

export function switchTheme() {
  const wanted = isDark() ? "light" : "dark";
  localStorage.setItem(KEPT, wanted);
  apply(wanted);
}

function apply(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
