import { expect, test } from "vitest";
import { Web } from "./support.js";

/** Who becomes a user: by signing up, or by the operator. */

const web = new Web();

test("where sign-up is closed there is no form for it, but who to ask", async () => {
  const { disk, page } = await web.open();
  disk.signup = { open: false, contact: "Zhang, room 12" };
  await page.reload();
  await page.getByText("Sign-up is closed. Ask for an account here: Zhang, room 12").waitFor();
  expect(await page.getByRole("button", { name: "New here? Create an account" }).count()).toBe(0);
  await page.goto(new URL("/user/signup", page.url()).href);
  await page.getByRole("heading", { name: "Sign-up is closed." }).waitFor();
  expect(await page.getByLabel("User name").count()).toBe(0);
  await page.getByRole("button", { name: "Have an account? Sign in" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  disk.signup = { open: false, contact: "" };
  await page.reload();
  await page.getByText("Ask whoever runs this disk for an account.").waitFor();
});

test("the operator makes users, and stays who he is", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.signup = { open: false, contact: "" };
  await page.getByRole("link", { name: "Users" }).click();
  const [name, password] = [page.getByLabel("User name"), page.getByLabel("Password", { exact: true })];
  const make = page.getByRole("button", { name: "Create user" });
  await name.fill("b");
  await make.click();
  await page.getByRole("alert").getByText("The user name must have").waitFor();
  expect(await page.evaluate("document.activeElement.id")).toBe("username");
  await name.fill("bob");
  await page.getByRole("button", { name: "Make up a password" }).click();
  const madeUp = await password.inputValue();
  expect(madeUp).toMatch(/^([a-z2-9]{4}-){3}[a-z2-9]{4}$/);
  expect(await password.getAttribute("type")).toBe("text");
  await make.click();
  await page
    .getByRole("status")
    .getByText(`Done: bob can sign in now, with the password ${madeUp}`)
    .waitFor();
  expect([await name.inputValue(), await password.inputValue()]).toEqual(["", ""]);
  expect(disk.signedIn).toBe("ann");

  await name.fill("bob");
  await password.fill("12345");
  await make.click();
  await page.getByRole("alert").getByText("This user name is taken.").waitFor();
  expect(await page.getByRole("status").getByText("can sign in now").count()).toBe(0);

  await page.getByRole("button", { name: "Sign out" }).click();
  await name.fill("bob");
  await password.fill(madeUp);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
  expect(disk.signedIn).toBe("bob");
});
