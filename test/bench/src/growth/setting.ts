/** How large everything is while calls are measured. */
export interface GrowthSetting {
  services: number;
  /** Of each service. */
  methods: number;
  endpoints: number;
  /** One channel with all endpoints, or as many channels with one endpoint each: the same connections without a choice. */
  channels: "one" | "one-an-endpoint";
  /** Sent with each request. */
  metadataEntries: number;
  /** Calls that hang meanwhile, with a deadline far away. */
  pendingDeadlines: number;
}

/** Everything as small as it can be. */
export const smallest: GrowthSetting = {
  services: 1,
  methods: 1,
  endpoints: 1,
  channels: "one",
  metadataEntries: 0,
  pendingDeadlines: 0,
};
