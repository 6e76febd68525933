import { useRef } from "preact/hooks";
import { useI18n } from "../i18n/context.js";
import { type Picked, pickedOf } from "../upload/pick.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";

/** Upload files, or a whole folder. */
export function UploadButtons({ onPicked }: { onPicked: (picked: Picked[]) => void }) {
  const { t } = useI18n();
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (input: HTMLInputElement): void => {
    onPicked(pickedOf(input.files ?? []));
    // The same file again is a change too.
    input.value = "";
  };
  // Every browser has it, and no standard that the types follow.
  const pickFolders = (input: HTMLInputElement | null): void => {
    folder.current = input;
    if (input !== null) input.webkitdirectory = true;
  };
  return (
    <div class="split">
      <input
        ref={files}
        type="file"
        multiple
        hidden
        data-upload="files"
        onChange={(event) => take(event.currentTarget)}
      />
      <input
        ref={pickFolders}
        type="file"
        multiple
        hidden
        data-upload="folder"
        onChange={(event) => take(event.currentTarget)}
      />
      <button type="button" class="button primary" onClick={() => files.current?.click()}>
        <Icon name="upload" />
        <span>{t("files.upload")}</span>
      </button>
      <Menu
        class="button primary split-more"
        label={t("files.upload.more")}
        items={() => [
          { icon: "file", label: t("files.upload.files"), run: () => files.current?.click() },
          { icon: "folder", label: t("files.upload.folder"), run: () => folder.current?.click() },
        ]}
      >
        <Icon name="down" />
      </Menu>
    </div>
  );
}
