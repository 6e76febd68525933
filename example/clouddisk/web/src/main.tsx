import { render } from "preact";
import "./style/theme.css";
import "./style/base.css";
import "./style/floating.css";
import "./style/sign.css";
import "./style/layout.css";
import "./style/files.css";
import "./style/preview.css";
import "./style/uploads.css";
import { App } from "./views/app.js";
import { keepPageOnDrop } from "./views/drop.js";

keepPageOnDrop();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
