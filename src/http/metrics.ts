/** What is measured of calls, in Prometheus' text format. */
export interface Metrics {
	readonly contentType: string;
	/** @param route the route's pattern, never the path. */
	observe(method: string, route: string, status: number, seconds: number): void;
	text(): Promise<string>;
}

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** @param waitingWrites writes that wait for their commit now. */
export async function makeMetrics(waitingWrites: () => number): Promise<Metrics> {
	// Loaded here because most servers run without it.
	const { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } = await import('prom-client');
	const registry = new Registry();
	collectDefaultMetrics({ register: registry });
	const labelNames = ['method', 'route', 'status'] as const;
	const requests = new Counter({
		name: 'pumadb_http_requests_total',
		help: 'Requests answered, by route pattern and status.',
		labelNames,
		registers: [registry],
	});
	const durations = new Histogram({
		name: 'pumadb_http_request_duration_seconds',
		help: 'Time from the head of a request to the end of its answer.',
		labelNames: ['method', 'route'],
		buckets: BUCKETS_SECONDS,
		registers: [registry],
	});
	new Gauge({
		name: 'pumadb_writes_waiting',
		help: 'Writes that wait for their commit.',
		registers: [registry],
		collect() {
			this.set(waitingWrites());
		},
	});
	return {
		contentType: registry.contentType,
		observe(method, route, status, seconds) {
			requests.inc({ method, route, status: String(status) });
			durations.observe({ method, route }, seconds);
		},
		text: () => registry.metrics(),
	};
}
