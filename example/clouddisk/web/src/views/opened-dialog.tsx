import type { Api, Entry } from "../api.js";
import { useI18n } from "../i18n/context.js";
import { ConfirmDialog, NameDialog } from "./dialogs.js";
import type { FileActions } from "./file-actions.js";
import { MoveDialog } from "./move-dialog.js";
import { Preview } from "./preview.js";

export type Opened =
  | { dialog: "rename" | "preview"; entry: Entry }
  | { dialog: "move" | "delete"; entries: readonly Entry[] }
  | { dialog: "folder" | "empty" };

interface Props {
  api: Api;
  actions: FileActions;
  folderId: number;
  onClose: () => void;
}

/** The dialog that is open, if one is. */
export function OpenedDialog({ opened, ...props }: Props & { opened: Opened | undefined }) {
  switch (opened?.dialog) {
    case undefined:
      return null;
    case "preview":
      return (
        <Preview
          api={props.api}
          entry={opened.entry}
          onDownload={() => props.actions.downloadOne(opened.entry)}
          onClose={props.onClose}
        />
      );
    case "rename":
    case "folder":
      return <Naming {...props} entry={opened.dialog === "rename" ? opened.entry : undefined} />;
    case "move":
      return (
        <MoveDialog
          api={props.api}
          entries={opened.entries}
          onMove={(to) => void props.actions.move(opened.entries, to)}
          onClose={props.onClose}
        />
      );
    case "delete":
    case "empty":
      return <Deleting {...props} entries={opened.dialog === "delete" ? opened.entries : undefined} />;
  }
}

/** A new name for this one; undefined: for a new folder. */
function Naming({ entry, actions, folderId, onClose }: Props & { entry: Entry | undefined }) {
  const { t } = useI18n();
  if (entry === undefined) {
    return (
      <NameDialog
        title={t("folder.title")}
        label={t("folder.name")}
        action={t("action.create")}
        initial=""
        onSubmit={(name) => actions.createFolder(folderId, name)}
        onClose={onClose}
      />
    );
  }
  return (
    <NameDialog
      title={t("rename.title", { name: entry.name })}
      label={t("files.name")}
      action={t("action.save")}
      initial={entry.name}
      onSubmit={(name) => actions.rename(entry, name)}
      onClose={onClose}
    />
  );
}

/** For good; undefined: everything in the trash. */
function Deleting({ entries, actions, onClose }: Props & { entries: readonly Entry[] | undefined }) {
  const { t } = useI18n();
  if (entries === undefined) {
    return (
      <ConfirmDialog
        title={t("trash.empty")}
        text={t("trash.confirmAll")}
        action={t("trash.empty")}
        onConfirm={() => void actions.emptyTrash()}
        onClose={onClose}
      />
    );
  }
  const [first] = entries;
  const count = entries.length;
  return (
    <ConfirmDialog
      title={t("action.delete")}
      text={
        count === 1 ? t("trash.confirmOne", { name: first?.name ?? "" }) : t("trash.confirmMany", { count })
      }
      action={t("action.delete")}
      onConfirm={() => void actions.remove(entries)}
      onClose={onClose}
    />
  );
}
