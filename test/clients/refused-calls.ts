import type { RefusedCalls } from "./compatibility-page.ts";

const CONFIG = "`get_model_metadata` has the inputs and outputs";
const COUNTS = "the API port has the counts, at `/metrics`";
const LISTED = "`lastgood status` lists what is served";
const DEPLOY = "`lastgood deploy` loads and switches, `lastgood rollback` goes back";
const MEMORY = "tensors travel in the message";
const LOGS = "logs are set where the server is started";
const TRACES = "each answer names its request, `x-lastgood-request-id`";
const CLASSES = "the scores come whole, the highest are the caller's to pick";

const NOT_SERVED = "nothing is served at";
const TRITON = "Triton's own";

/** What is refused by design, what the error says, and what there is instead. */
export const REFUSED: RefusedCalls = {
  "tritonclient.http": {
    "infer, classification": { text: "classification is not served", instead: CLASSES },
    get_model_config: { text: NOT_SERVED, instead: CONFIG },
    get_inference_statistics: { text: NOT_SERVED, instead: COUNTS },
    get_model_repository_index: { text: NOT_SERVED, instead: LISTED },
    load_model: { text: NOT_SERVED, instead: DEPLOY },
    unload_model: { text: NOT_SERVED, instead: DEPLOY },
    get_trace_settings: { text: NOT_SERVED, instead: TRACES },
    get_log_settings: { text: NOT_SERVED, instead: LOGS },
    get_system_shared_memory_status: { text: NOT_SERVED, instead: MEMORY },
  },
  "tritonclient.grpc": {
    "infer, classification": { text: "classification is not served", instead: CLASSES },
    async_stream_infer: {
      text: TRITON,
      instead: "`infer` or `async_infer`: answers are not streamed",
    },
    get_model_config: { text: TRITON, instead: CONFIG },
    get_inference_statistics: { text: TRITON, instead: COUNTS },
    get_model_repository_index: { text: TRITON, instead: LISTED },
    load_model: { text: TRITON, instead: DEPLOY },
    unload_model: { text: TRITON, instead: DEPLOY },
    get_trace_settings: { text: TRITON, instead: TRACES },
    get_log_settings: { text: TRITON, instead: LOGS },
    get_system_shared_memory_status: { text: TRITON, instead: MEMORY },
  },
  "kserve InferenceRESTClient, v1": {
    is_server_live: { text: "404", instead: "`/healthz`, or `is_server_live` of v2" },
    explain: { text: "501", instead: "no version here has an explainer" },
  },
  "TensorFlow Serving's curl examples": {
    'curl -d \'{"signature_name": "tensorflow/serving/regress", …}\' …:regress': {
      text: ":regress is not served",
      instead: "`:predict` takes the same features",
    },
    "curl …:classify": {
      text: ":classify is not served",
      instead: "`:predict` takes the same features",
    },
  },
};
