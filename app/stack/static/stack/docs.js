import { load, save } from "./store.js";

// The token of the tab, which the page of the tasks may have asked for: given
// once, on either page, it serves both until the tab is closed.
const SCHEME = "token";

const keepToken = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (authorize) => (given) => {
          if (given[SCHEME]) save("token", given[SCHEME].value);
          return authorize(given);
        },
        logout: (logout) => (names) => {
          if (names.includes(SCHEME)) save("token", "");
          return logout(names);
        },
      },
    },
  },
});

const ui = window.SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: document.body.dataset.document,
  layout: "BaseLayout",
  deepLinking: true,
  plugins: [keepToken],
  onComplete() {
    const token = load("token");
    if (token) ui.preauthorizeApiKey(SCHEME, token);
  },
});
