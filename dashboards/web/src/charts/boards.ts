/** What dashboards draw beside bars and lines. */
import { FunnelChart, GaugeChart, HeatmapChart, PieChart } from 'echarts/charts';
import { CalendarComponent, TitleComponent, VisualMapContinuousComponent } from 'echarts/components';
import { use } from 'echarts/core';
import './lines';

use([
  CalendarComponent, FunnelChart, GaugeChart, HeatmapChart, PieChart, TitleComponent,
  VisualMapContinuousComponent,
]);
