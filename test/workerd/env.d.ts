declare namespace Cloudflare {
  interface Env {
    readonly KEYS: KVNamespace;
    readonly CONSUMERS: DurableObjectNamespace<import("../../durable-objects/consumer.ts").Consumer>;
    readonly ORIGIN_QUOTAS: DurableObjectNamespace<import("../../durable-objects/origin-quota.ts").OriginQuota>;
  }
}
