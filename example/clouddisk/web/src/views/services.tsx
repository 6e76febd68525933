import { useEffect, useState } from "preact/hooks";
import type { Api, ServiceInstances } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { Icon } from "./icons.js";

const everyMs = 5000;

/** Which instances there are, and which of them answer. */
export function Services({ api }: { api: Api }) {
  const { t } = useI18n();
  const [services, setServices] = useState<readonly ServiceInstances[]>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        setServices(await api.services(controller.signal));
        setError(undefined);
      } catch (failure) {
        if (controller.signal.aborted) return;
        setError(failure);
      }
      if (!controller.signal.aborted) timer = setTimeout(() => void ask(), everyMs);
    };
    void ask();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [api]);
  return (
    <section>
      <div class="page-head">
        <h1>{t("services.title")}</h1>
      </div>
      <p class="muted">{t("services.hint")}</p>
      {error !== undefined && (
        <p class="notice" role="alert">
          {describe(error, t)}
        </p>
      )}
      {services === undefined && error === undefined && <p role="status">{t("app.loading")}</p>}
      <ul class="cards">
        {services?.map((one) => (
          <ServiceCard key={one.service} {...one} />
        ))}
      </ul>
    </section>
  );
}

function ServiceCard({ service, instances }: ServiceInstances) {
  const { t } = useI18n();
  const up = instances.filter(({ healthy }) => healthy).length;
  const state = up === 0 ? "down" : up < instances.length ? "some" : "up";
  return (
    <li class="card">
      <div class="card-head">
        <Icon name="services" />
        <h2>{service.replace(/^clouddisk\./, "")}</h2>
        <span class={`badge ${state}`}>{t("services.instances", { up, total: instances.length })}</span>
      </div>
      <ul class="instances">
        {instances.length === 0 && <li class="muted">{t("services.none")}</li>}
        {instances.map(({ address, healthy }) => (
          <li key={address}>
            <span class={healthy ? "dot up" : "dot down"} aria-hidden="true" />
            <code>{address}</code>
            <span class="muted">{t(healthy ? "services.up" : "services.down")}</span>
          </li>
        ))}
      </ul>
    </li>
  );
}
