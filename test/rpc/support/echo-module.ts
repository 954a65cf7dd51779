// The Echo service as a service module, for servers with threads.

import type { RpcModule } from '../../../rpc/index.js';
import { echoService } from './echo.js';

const module: RpcModule = () => [echoService()];

export default module;
