/** What charts of any query need beside the bars of the overview. */
import { LineChart } from 'echarts/charts';
import { LegendComponent } from 'echarts/components';
import { use } from 'echarts/core';

use([LineChart, LegendComponent]);
