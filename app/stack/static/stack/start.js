// Not a module, and loaded before them: when one of them does not arrive (the
// proxy found no web for a moment), none runs, and the page would say "Loading"
// for ever. Errors of scripts do not bubble, so they are caught on their way down.
document.addEventListener(
  "error",
  ({ target }) => {
    if (target.type !== "module") return;
    const say = () => {
      document.getElementById("loading").textContent = "A part of this page did not arrive. It is loaded again in 5 s.";
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", say);
    else say();
    setTimeout(() => location.reload(), 5000);
  },
  true,
);
